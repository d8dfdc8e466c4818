"""The perturbed head in closed form.

Recipro-CAM runs the head once per mask. The P inputs X[p, q] = G[p, q] F[q] differ only by the mask matrix G, so the
perturbation is carried through the head symbolically (`forms`), op by op (`rules`), and is a plain batch of rows once
the places are gone. Where an op has no rule, the masked copies are evaluated literally, in blocks (`mosaic`).
"""
