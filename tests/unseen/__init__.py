"""Layers that are in no catalogue, each with a reference written by hand from what its equations mean."""
