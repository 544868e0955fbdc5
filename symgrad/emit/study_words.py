"""What a derivation says, in English: sentences by key."""

from __future__ import annotations

ENGLISH: dict[str, str] = {
    # titles
    "title": "{name}: derivation of the gradients",
    "declaration": "Declaration",
    "forward": "Rewriting the forward pass",
    "differentiated": "What is differentiated",
    "chain": "The chain rule",
    "cotangent of": "Cotangent of {tensor}",
    "simplification": "Simplification",
    "gradients": "Gradients",
    "residuals": "What backward keeps",
    # heads of tables
    "tensor": "tensor",
    "shape": "shape",
    "role": "role",
    "index": "index",
    "values": "values",
    "symbol": "symbol",
    "meaning": "meaning",
    "needed for": "needed for",
    # the declaration
    "plain": "{text}",
    "scalar": "a number",
    "input": "input",
    "input, integers": "input, integers: no gradient",
    "input, constant": "input, constant: no gradient",
    "output": "output",
    "intermediate": "intermediate",
    "range": "{first}, ..., {last}",
    "attribute": "attribute, {default} by default",
    "attribute from": "attribute, {default} by default, at least {least}",
    "attribute letter|text": "attribute, {default} by default",
    "attribute letter from|text": "attribute, {default} by default, at least {least}",
    "attribute letter": "{name}: an attribute, {default} by default",
    "attribute letter from": "{name}: an attribute, {default} by default, at least {least}",
    "extent": "{value}",
    "declared": "The layer is",
    "declared, several": "The layer is, in order,",
    "requirement": "The sizes have to satisfy {condition}.",
    "zero extension": "{extended} is {tensor}, and {value} wherever its indices leave the shape of {tensor}.",
    "mode reflect": "{extended} is {tensor} mirrored at its border, the border itself not repeated.",
    "mode replicate": "{extended} is {tensor} with its border repeated outwards.",
    "mode wrap": "{extended} is {tensor} continued periodically.",
    "bracket|text": "A condition after the colon of a sum restricts it; {bracket} is 1 where {condition} holds and 0 "
    "elsewhere, and beside a 0 the other factors are not looked at. // and % round down, as in Python.",
    "bracket": "A bracket {bracket} is 1 where {condition} holds and 0 elsewhere; beside a 0 the other factors are not "
    "looked at.",
    "sigma": "{sigma} is the logistic function, {definition}.",
    "function": "{name} is {definition}, evaluated without loss of digits.",
    "stop": "{stop} marks what counts as constant when derivatives are taken.",
    # the chain rule
    "cotangents": "Let {objective} be a number that depends on the outputs. The cotangent of a tensor, written with a "
    "bar, is the derivative of {objective} by each of its elements:",
    "cotangents|text": "Let {objective} be a number that depends on the outputs. The cotangent of a tensor t, called "
    "grad_t, is the derivative of {objective} by each of its elements:",
    "seeds": "Given are the cotangents of the outputs: {seeds}.",
    "rule of the chain": "Every place where an equation reads an element adds the cotangent of the left side times the "
    "slope of the right side. Equations are gone through from the last to the first, so that a cotangent is complete "
    "before it is passed on.",
    "recurrence": "Equations {numbers} need each other; each step along {index} reads only steps {before} it.",
    "recurrence adjoint": "The cotangents of {tensors} need each other too: each step reads only steps {after} it, so "
    "they are found in the opposite order.",
    "before": "before",
    "after": "after",
    "constants": "No gradient is taken with respect to {tensors}.",
    "auxiliary": "Needed on the way:",
    "winner": "The position of the value that is taken, the first one in row-major order where several are equal:",
    "ties": "How often the value is reached; each of the equal ones gets an equal part of the cotangent:",
    "others": "The product of all factors but one, without dividing by it:",
    "definition": "A definition:",
    "reads": "Equation {number} reads {read}.",
    "reads in sum": "Equation {number} reads {read}, once for every {indices}.",
    "slope": "The slope there is",
    "slope one": "It enters as it stands: the slope is 1.",
    "slope number": "The slope is {slope}.",
    "picked first": "Of the values that {reduction} runs over, only the winner's gets the cotangent.",
    "picked split": "Of the values that {reduction} runs over, those equal to the result share the cotangent.",
    "kink extreme": "Convention: where the arguments of {value} are equal, {first} counts as the one taken, "
    "so the slope in {read} there is {slope}.",
    "kink abs": "Convention: where {argument} = 0, the slope of {value} is 0.",
    "kink root": "Convention: where {argument} = 0, the slope of {value} counts as 0: no direction is better than "
    "another there.",
    "kink step": "Convention: {value} counts as constant everywhere, its jumps included.",
    "kink select": "Convention: where the cases {condition} and its opposite meet, the slope is that of the case that "
    "holds there.",
    "collected": "Collected at {element}:",
    "collected where|text": "Collected at {element}; the conditions after the colon say where the read meets it:",
    "collected where": "Collected at {element}; the brackets say where the read meets this element:",
    "digits": "The index {index} is written by its digits, an index for each quotient and remainder in the brackets:",
    "two": "{one} {two}",
    "eliminate unit": "{equality} is solved for {index}: the pivot is 1, so {index} = {value}, without remainder. "
    "{range}",
    "eliminate": "{equality} is solved for {index}: the pivot is {pivot}, so {index} = {value}, "
    "and only where {divisible}. {range}",
    "eliminate plainly": "The sum over {index} has one term: {index} = {value}. {range}",
    "in range always": "That is in range whatever the other indices are.",
    "in range": "That has to be in range: {range}.",
    "extended instead": "Range conditions become zeros: {extended} is {tensor}, and 0 outside its shape. So",
    "conditions kept|text": "The range conditions stay, after the colon:",
    "conditions kept": "The range conditions stay as brackets:",
    "no conditions": "No condition is left:",
    "flipped": "{indices} run against the axes of {tensor}: {other} is applied flipped along them.",
    "unsolved|text": "{equality} has no closed inverse over the integers; it stays a condition.",
    "unsolved": "{equality} has no closed inverse over the integers; it stays a bracket.",
    "otherwise": "Solved for {indices} instead, it is the same sum in another form:",
    "special": "With {assumption} the divisibility condition always holds:",
    "special, plainly": "With {assumption}:",
    "together": "Together:",
    "given": "{tensor} is an output and is read as well: what is given for it counts too.",
    "nothing": "No equation lets a change of {tensor} through: its gradient is 0.",
    # simplification, results
    "dropped": "No longer needed: {names}.",
    "on the way": "With",
    "results": "The gradients are",
    "no results": "No input gets a gradient.",
    "solved": "The same, solved for {indices}:",
    "kept": "Besides the cotangents of the outputs, backward reads these; forward returns them as residuals.",
    "kept nothing": "Backward needs nothing but the cotangents of the outputs, and shapes.",
    "not kept": "Not kept: {names}; no formula of the backward pass reads them.",
    # the fast schedule
    "module": "The fast module",
    "what": "what",
    "why": "why",
    "forms": "It takes these forms:",
    "no forms": "It takes the same forms as the readable one.",
    "tiles": "Tiles",
    "tiling": "A correlation of data with a kernel takes fewer multiplications, a tile of outputs at a time. With the "
    "matrices below, for all data d and all coefficients g,",
    "tiling proved": "Both sides are linear in d and in g. The coefficient of {pair} in output i, {coefficient}, is 1 "
    "where {equal} and 0 elsewhere, for every i, p and q: checked in exact fractions. With two axes each is "
    "multiplied by its matrices in turn. The gradient of the data is such a correlation again, with the kernel "
    "flipped; that of the kernel has the same matrices, transposed.",
    "tile": "{name} takes {products} products of numbers where the sum takes {direct}:",
    "an input": "an input",
    "an output": "an output",
    "computed": "computed by forward",
}
