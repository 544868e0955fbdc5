"""The rules of a derivation in words, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleWords:
    """A rule in words: heading, its equation in LaTeX (empty where it has none), what it is for, its equation as text.

    The text is empty where the rule's name is its equation.
    """

    title: str
    latex: str
    why: str
    text: str = ""


STABLE = "A stable form: the same value, without overflow and without loss of digits."
LARGEST = (
    "No exponential overflows, and one of them is 1. The value does not depend on m, so m counts as constant in the "
    "chain rule."
)
RULES: dict[str, RuleWords] = {
    "a maximum over two axes is a maximum of maxima": RuleWords(
        "Maxima are taken axis by axis",
        r"\max_{u,\, v} a_{u,v} = \max_{u} \max_{v} a_{u,v}",
        "One axis after the other takes fewer comparisons, and the inner maxima serve several windows.",
        "max_{u, v} a[u, v] = max_{u} max_{v} a[u, v]",
    ),
    "a sum over two axes is a sum of sums": RuleWords(
        "Sums are taken axis by axis",
        r"\sum_{u,\, v} a_{u,v} = \sum_{v} \sum_{u} a_{u,v}",
        "One axis after the other takes fewer additions, and the inner sums serve several windows.",
        "sum_{u, v} a[u, v] = sum_{v} sum_{u} a[u, v]",
    ),
    "prod_{j <= i} f(j) = f(i) prod_{j <= i - 1} f(j)": RuleWords(
        "A product up to an index is a recurrence",
        r"\prod_{j \le i} f_{j} = f_{i} \prod_{j \le i - 1} f_{j}",
        "Each step has one factor more, and the chain rule runs back over the same factors: zeros need no division.",
    ),
    "max_{j <= i} f(j) = max(f(i), max_{j <= i - 1} f(j))": RuleWords(
        "A maximum up to an index is a recurrence",
        r"\max_{j \le i} f_{j} = \max\bigl(f_{i},\ \max_{j \le i - 1} f_{j}\bigr)",
        "Each step compares one element more.",
    ),
    "min_{j <= i} f(j) = min(f(i), min_{j <= i - 1} f(j))": RuleWords(
        "A minimum up to an index is a recurrence",
        r"\min_{j \le i} f_{j} = \min\bigl(f_{i},\ \min_{j \le i - 1} f_{j}\bigr)",
        "Each step compares one element more.",
    ),
    "S(i) = sum_{j <= i} exp(a(j) - m(i)) = exp(a(i) - m(i)) + exp(m(i - 1) - m(i)) S(i - 1)": RuleWords(
        "A sum of exponentials up to an index is a recurrence",
        r"S_{i} = \sum_{j \le i} e^{a_{j} - m_{i}} = e^{a_{i} - m_{i}} + e^{m_{i-1} - m_{i}}\, S_{i-1}",
        "Where the largest exponent so far grows, the sum so far shrinks: no exponential exceeds 1.",
    ),
    "where n = d, f(n) = f(d)": RuleWords(
        "What data choose is read there",
        r"\sum_{j} [j = d]\, f_{j} = f_{d}",
        "No array is made of which one element counts.",
        "sum_{j : j == d} f[j] = f[d]",
    ),
    "sums of one cotangent in one": RuleWords(
        "A difference of sums is a sum of differences",
        r"\sum_{n} \bar{y}_{n} a_{n} - \sum_{n} \bar{y}_{n} c_{n} = \sum_{n} \bar{y}_{n} (a_{n} - c_{n})",
        "The two sums may be large beside their difference, which would lose its digits.",
        "sum_{n} g[n] * a[n] - sum_{n} g[n] * c[n] = sum_{n} g[n] * (a[n] - c[n])",
    ),
    "sum f g - (sum f)(sum g)/n = sum (f - sum f / n)(g - sum g / n)": RuleWords(
        "Deviations from the mean",
        r"\sum_{i} f_{i} g_{i} - \frac{1}{n} \sum_{i} f_{i} \sum_{i} g_{i}"
        r" = \sum_{i} (f_{i} - \mu_f)(g_{i} - \mu_g), \qquad \mu_f = \frac{1}{n} \sum_{i} f_{i}",
        "Where the mean is large beside the deviations from it, the difference on the left loses its digits, and may "
        "come out below 0.",
    ),
    "log(1 - p_n) = log(sum_{i != n} exp(a_i)) - log(sum_i exp(a_i)) where p_n > 1/2": RuleWords(
        "One less a share is what the others have",
        r"\log(1 - p_n) = \log \sum_{i \ne n} e^{a_i} - \log \sum_{i} e^{a_i}"
        r"\quad\text{where } p_n = \frac{e^{a_n}}{\sum_i e^{a_i}} > \tfrac{1}{2}",
        "Near 1 a share has lost what it lacks. At most one is above 1/2, so one sum over the others serves all n; no "
        "other is near 1.",
    ),
    "0 where the cotangent is left out": RuleWords(
        "What a condition leaves out has no gradient",
        r"\bar{z}\, v = (\bar{z}\, v \text{ if } c,\ 0 \text{ otherwise}) \quad\text{where } \bar{z} = 0"
        r" \text{ unless } c",
        "The value beside the cotangent may be no number there, and 0 times that would be none.",
    ),
    "p log(p) = 0 where p = exp(-oo)": RuleWords(
        "A share of 0 beside its logarithm",
        r"p \log p = 0 \quad\text{where } p = e^{-\infty}",
        "The limit of p log(p) is 0 as p goes to 0. What a mask leaves out has no part in an entropy.",
    ),
    "w exp(a) = w exp(a where w != 0)": RuleWords(
        "A weight of 0 takes its exponential out",
        r"w\, e^{a} = w \exp(a \text{ if } w \ne 0,\ -\infty \text{ otherwise})",
        "What a constant weight leaves out has no part in the largest exponent.",
    ),
    "name inner reductions": RuleWords(
        "Inner reductions get names",
        "",
        "Every reduction inside an expression becomes an equation of its own, so that each equation is either "
        "pointwise or a single reduction.",
    ),
    "1/(1 + exp(u)) = sigmoid(-u)": RuleWords("Logistic function", r"\frac{1}{1 + e^{u}} = \sigma(-u)", STABLE),
    "exp(u) sigmoid(-u) = sigmoid(u)": RuleWords("Logistic function", r"e^{u}\, \sigma(-u) = \sigma(u)", STABLE),
    "sigmoid(u) = exp(-softplus(-u))": RuleWords(
        "A logistic function as an exponential",
        r"\sigma(u) = e^{-\operatorname{softplus}(-u)}",
        "So that the largest exponent can be taken out of a sum: where all its terms underflow, their shares do not.",
    ),
    "log(1 + exp(u)) = softplus(u)": RuleWords("Softplus", r"\log(1 + e^{u}) = \operatorname{softplus}(u)", STABLE),
    "log(sigmoid(u)) = -softplus(-u)": RuleWords(
        "Logarithm of the logistic function", r"\log \sigma(u) = -\operatorname{softplus}(-u)", STABLE
    ),
    "log(sigmoid(a) - sigmoid(b)) = -softplus(-a) - softplus(b) + log1mexp(b - a)": RuleWords(
        "Logarithm of a difference of logistic functions",
        r"\log(\sigma(a) - \sigma(b)) = -\operatorname{softplus}(-a) - \operatorname{softplus}(b)"
        r" + \operatorname{log1mexp}(b - a)",
        STABLE,
    ),
    "log(exp(u) v) = u + log(v)": RuleWords(
        "Logarithm of a product", r"\log(e^{u}\, v) = u + \log v", "The exponential and the logarithm cancel."
    ),
    "f(exp(u)) = f(exp(min(u, c))), where f is at its limit": RuleWords(
        "An exponential under a function with a limit",
        r"f(e^{u}) = f(e^{\min(u,\, c)})",
        "Beyond c the function is at its limit, to the last digit: nothing is lost, and no exponential overflows.",
    ),
    "min(exp(u) - 1, 0) = exp(min(u, 0)) - 1": RuleWords(
        "The smaller of an exponential and a number",
        r"\min(e^{u} - 1,\ 0) = e^{\min(u,\, 0)} - 1",
        "The minimum is taken of the exponent: no exponential overflows, and none stands before a slope of 0. Against "
        "any other number the exponent is bounded where the exponential is larger in any case.",
    ),
    "1 - sigmoid(u) = sigmoid(-u)": RuleWords(
        "Logistic function beside a number", r"1 - \sigma(u) = \sigma(-u), \qquad 2\,\sigma(u) - 1 = \tanh(u/2)", STABLE
    ),
    "1 + tanh(u) = 2 sigmoid(2u)": RuleWords(
        "Hyperbolic tangent beside a number", r"1 + \tanh(u) = 2\,\sigma(2u)", STABLE
    ),
    "1 - tanh(u)^2 = 1/cosh(u)^2": RuleWords(
        "Slope of the hyperbolic tangent", r"1 - \tanh(u)^2 = \frac{1}{\cosh(u)^2}", STABLE
    ),
    "1/cosh(u) = 2/(exp(u) + exp(-u))": RuleWords(
        "Hyperbolic cosine below the line", r"\frac{1}{\cosh(u)} = \frac{2}{e^{u} + e^{-u}}", STABLE
    ),
    "v/(exp(a) + exp(b)) = v exp(-m)/(exp(a - m) + exp(b - m)), m = max(a, b)": RuleWords(
        "The largest exponent is taken out of a quotient",
        r"\frac{v}{e^{a} + e^{b}} = \frac{v\, e^{-m}}{e^{a - m} + e^{b - m}}, \qquad m = \max(a, b)",
        LARGEST,
    ),
    "log(c + exp(u)) = log(c) + softplus(u - log(c))": RuleWords(
        "Softplus", r"\log(c + e^{u}) = \log c + \operatorname{softplus}(u - \log c)", STABLE
    ),
    "log(cosh(u)) = logcosh(u)": RuleWords(
        "Logarithm of the hyperbolic cosine", r"\log \cosh(u) = \operatorname{logcosh}(u)", STABLE
    ),
    "softplus(u) - u/2 - log(2) = logcosh(u/2)": RuleWords(
        "Logarithm of the hyperbolic cosine",
        r"\operatorname{softplus}(u) - \tfrac{u}{2} - \log 2 = \operatorname{logcosh}(\tfrac{u}{2})",
        STABLE,
    ),
    "log(u + sqrt(u^2 + 1)) = arcsinh(u)": RuleWords(
        "Inverse hyperbolic sine", r"\log\bigl(u + \sqrt{u^2 + 1}\bigr) = \operatorname{arcsinh}(u)", STABLE
    ),
    "log(exp(a) - exp(b)) = a + log1mexp(b - a)": RuleWords(
        "Logarithm of a difference of exponentials",
        r"\log(e^{a} - e^{b}) = a + \operatorname{log1mexp}(b - a)",
        STABLE,
    ),
    "log(exp(a) + exp(b)) = m + log(exp(a - m) + exp(b - m)), m = max(a, b)": RuleWords(
        "The largest exponent is taken out of a logarithm",
        r"\log(e^{a} + e^{b}) = m + \log(e^{a - m} + e^{b - m}), \qquad m = \max(a, b)",
        LARGEST,
    ),
    "v/norm(v) = 0 where norm(v) = 0": RuleWords(
        "A value by its own norm",
        r"\frac{v}{\lVert v \rVert} = 0 \quad\text{where}\quad \lVert v \rVert = 0",
        "Where the sum below the line is 0, so is what stands above it: the quotient has no value there, and counts as "
        "0.",
    ),
    "b^a = exp(a log(b))": RuleWords(
        "Powers of a number as exponentials", r"b^{a} = e^{a \log b}", "So that the largest exponent can be taken out."
    ),
    "sqrt(1 + u) - 1 = u/(sqrt(1 + u) + 1)": RuleWords(
        "Root near 1", r"\sqrt{1 + u} - 1 = \frac{u}{\sqrt{1 + u} + 1}", STABLE
    ),
    "log(c erfc(u)) = log(c) + logerfc(u)": RuleWords(
        "Logarithm of the normal distribution",
        r"\log (c \operatorname{erfc}(u)) = \log c + \operatorname{logerfc}(u), \qquad 1 - \operatorname{erf}(u)"
        r" = \operatorname{erfc}(u)",
        "Far out erfc(u) is 0 long before its logarithm is infinite.",
    ),
    "exp(-u^2)/erfc(u) = 1/erfcx(u) where u > 0": RuleWords(
        "A density by the tail of its distribution",
        r"\frac{e^{-u^2}}{\operatorname{erfc}(u)} = \frac{1}{\operatorname{erfcx}(u)} \quad\text{where } u > 0",
        "Far out both are 0, and their quotient grows as u.",
    ),
    "log(1 + u) = log1p(u)": RuleWords("Logarithm near 1", r"\log(1 + u) = \operatorname{log1p}(u)", STABLE),
    "exp(u) - 1 = expm1(u)": RuleWords("Exponential near 0", r"e^{u} - 1 = \operatorname{expm1}(u)", STABLE),
    "1/(exp(u) - 1) = -exp(-u)/(exp(-u) - 1) where u > 0": RuleWords(
        "An exponential less 1 below the line",
        r"\frac{1}{e^{u} - 1} = -\frac{e^{-u}}{e^{-u} - 1} \quad\text{where } u > 0",
        "Either way the exponent below the line is at most 0: no exponential overflows.",
    ),
    "|exp(u) - 1| = exp(u) - 1 where u > 1": RuleWords(
        "The distance of an exponential from 1 below the line",
        r"|e^{u} - 1| = \begin{cases} e^{u} - 1 & u > 1 \\ |e^{\min(u, 1)} - 1| & \text{otherwise} \end{cases}",
        "Each case has a form of its own: one in which no exponential overflows, and one that keeps its digits near 0.",
    ),
    "(exp(u) - exp(-u))/(exp(u) + exp(-u)) = tanh(u)": RuleWords(
        "Hyperbolic tangent", r"\frac{e^{u} - e^{-u}}{e^{u} + e^{-u}} = \tanh(u)", STABLE
    ),
    "write out a named exponential": RuleWords(
        "Exponentials with a name are written out", "", "So that they meet those beside them before any overflows."
    ),
    "write out the definition inside a logarithm": RuleWords(
        "Definitions inside logarithms are written out", "", "So that logarithms meet the exponentials inside."
    ),
    "sum exp(a) = exp(m) sum exp(a - m), m = max a": RuleWords(
        "The largest exponent is subtracted",
        r"\sum_{j} e^{a_{j}} = e^{m} \sum_{j} e^{a_{j} - m}, \qquad m = \max_{j} a_{j}",
        "No exponential overflows, and the largest is 1. The sum is redefined without the factor; the equations that "
        "read it make good for that. The result does not depend on m, so m counts as constant in the chain rule.",
    ),
    "m = 0 where the largest exponent is infinite": RuleWords(
        "No infinite number is subtracted",
        "",
        "Where every exponent is left out or is -inf, the largest is -inf. Any number may be subtracted from all of "
        "them, so 0 is there.",
    ),
    "(exp(u) v)^n = exp(n u) v^n": RuleWords(
        "Power of a product with an exponential", r"(e^{u}\, v)^{n} = e^{n u}\, v^{n}", "So that exponentials meet."
    ),
    "sigmoid(u)^n = exp(-n softplus(-u))": RuleWords(
        "Root of the logistic function",
        r"\sigma(u)^{n} = e^{-n \operatorname{softplus}(-u)}",
        "Where the logistic function is 0 its root is too, and the slope of the root is not infinite.",
    ),
    "write out the definition inside a root": RuleWords(
        "Definitions inside roots are written out", "", "So that the root is taken of an exponent, by a factor."
    ),
    "exp(u) (v if c else w) = (exp(u) v if c else exp(u) w)": RuleWords(
        "An exponential before a choice between exponentials goes into it",
        r"e^{u} \begin{cases} v & c \\ w & \text{otherwise} \end{cases}"
        r" = \begin{cases} e^{u}\, v & c \\ e^{u}\, w & \text{otherwise} \end{cases}",
        "So that exponentials meet.",
    ),
    "exp(m) cancels": RuleWords(
        "The common factor cancels",
        r"\frac{e^{a}}{e^{m}} = e^{a - m}",
        "What read the sum reads the redefined one.",
        "exp(a) / exp(m) = exp(a - m)",
    ),
    "f(a) if c else f(b) = f(a if c else b)": RuleWords(
        "What the cases have in common is written once",
        r"\begin{cases} f(a) & c \\ f(b) & \text{otherwise} \end{cases}"
        r" = f\!\left(\begin{cases} a & c \\ b & \text{otherwise} \end{cases}\right)",
        "The same holds for the terms of a sum and the factors of a product.",
    ),
    "the first value of a state stands before the others": RuleWords(
        "States stand beside the value before the first",
        "",
        "The state before the first step is one more element of the tensor of states, so that every step reads the "
        "state before it without a condition.",
    ),
    "an element that a recurrence begins with": RuleWords(
        "An element that a recurrence begins with is what its equation says of it",
        r"h_{0} = x_{0} \quad\text{where}\quad h_{t} = x_{t} \text{ for } t = 0",
        "At a fixed place the equation may need no other element: what reads it there does not wait for a step.",
        "h[0] = x[0] where h[t] = x[t] for t = 0",
    ),
    "a read outside is a constant": RuleWords(
        "Reads outside are written out",
        "",
        "Where a state is read outside its steps, the constant stands in its place.",
    ),
    "name what a step goes on from": RuleWords(
        "What a step goes on from gets a name",
        "",
        "The part of a step in which the state meets everything else becomes an equation of its own, over the steps at "
        "which it is needed: what does not depend on the state can be computed for all steps at once, and the chain "
        "rule passes through it once.",
    ),
    "name a value that is used again": RuleWords(
        "Values that are used again get names", "", "They are computed once, and backward can read them."
    ),
    "name a sum": RuleWords(
        "Sums get names", "", "A sum that stands inside a larger expression, or in several, is computed once."
    ),
    "reduce once a group of equal integers": RuleWords(
        "Elements with the same integer are reduced once",
        r"\sum_{k : d_k = d_i} f_k = S_{g_i}, \quad S_v = \sum_{k : g_k = v} f_k",
        "g is the first position with the same integer: the work grows with the elements, not with the pairs of them.",
    ),
    "terms that cancel meet": RuleWords(
        "Terms that cancel are brought together",
        r"\frac{1}{v} - \frac{u}{v^2} = \frac{v - u}{v^2}",
        "Where they nearly cancel, their difference would lose its digits.",
    ),
    "reuse forward values, take invariant factors out of sums": RuleWords(
        "Forward values are used again, invariant factors leave sums",
        r"\sum_{i} c\, a_{i} = c \sum_{i} a_{i}",
        "Where the definition of a forward value occurs, its name is put; factors that do not depend on a summed index "
        "go before the sum; terms that add up to 0 by a definition are dropped.",
        "sum_{i} c * a[i] = c * sum_{i} a[i]",
    ),
}


def words_of(rule: str) -> RuleWords:
    """Return the words for a rule; one without an entry speaks for itself."""
    return RULES.get(rule) or RuleWords(rule[:1].upper() + rule[1:], "", "")
