"""Activation map and Eigen-CAM from the activations of the target."""

import numpy as np


def activation_map(places_by_channels):
    """Return the mean over channels [N, P] of activations [N, P, C]."""
    return places_by_channels.mean(-1)


def eigen_cam(places_by_channels):
    """Return the projection [N, P] on the first right singular vector, the largest entry positive."""
    maps = []
    for matrix in places_by_channels.astype(np.float64):
        centred = matrix - matrix.mean(0)
        _, _, vectors = np.linalg.svd(centred, full_matrices=False)
        projected = centred @ vectors[0]
        maps.append(projected * np.sign(projected[np.abs(projected).argmax()]))
    return np.stack(maps)
