"""The metrics, pixel by pixel and image by image."""

import math
import statistics

import numpy as np


def score(predict, image, index):
    """Return the score of one class of one image."""
    return float(predict(np.asarray(image, np.float32)[None])[0, index])


def reading_order(values):
    """Return the places (row, column) of a map by falling value, equal ones as they are read."""
    places = [(row, column) for row in range(values.shape[0]) for column in range(values.shape[1])]
    return sorted(places, key=lambda place: -float(values[place]))


def blurred(image):
    """Return an image, blurred; the kernel reaches max(1, 5 * side / 224) pixels and its sigma is as long."""
    height, width = image.shape[:2]
    reach = max(1, round(5 * min(height, width) / 224))
    offsets = range(-reach, reach + 1)
    weights = {(a, b): math.exp(-(a * a + b * b) / (2 * reach * reach)) for a in offsets for b in offsets}
    whole = sum(weights.values())
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            for (down, right), weight in weights.items():
                y, x = mirrored(row + down, height), mirrored(column + right, width)
                result[row, column] += weight / whole * image[y, x].astype(np.float64)
    return result


def mirrored(place, length):
    """Return a place mirrored at the outer edges of the first and the last pixel."""
    if place < 0:
        return -1 - place
    return 2 * length - 1 - place if place >= length else place


def curve_scores(predict, first, second, values, index, steps):
    """Return the scores while the pixels of one image are replaced by those of another."""
    order = reading_order(values)
    found = []
    for step in range(steps + 1):
        blend = np.array(first, np.float32)
        for place in order[: round(step * values.size / steps)]:
            blend[place] = second[place]
        found.append(score(predict, blend, index))
    return found


def area(fractions, scores):
    """Return the area below a curve, trapezium by trapezium."""
    return sum((fractions[i + 1] - fractions[i]) * (scores[i] + scores[i + 1]) / 2 for i in range(len(fractions) - 1))


def hits(values, boxes, tolerance):
    """Return whether all the largest pixels lie in a box or near one."""
    if values.min() == values.max():
        return False
    for row, column in np.argwhere(values == values.max()):
        x, y = column + 0.5, row + 0.5
        distances = []
        for left, top, right, bottom in boxes:
            nearest = (min(max(x, left), right), min(max(y, top), bottom))
            distances.append(math.dist((x, y), nearest))
        if min(distances) > tolerance:
            return False
    return True


def energy(values, boxes):
    """Return the part of the mass inside the boxes."""
    inside = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            if any(a <= column + 0.5 <= c and b <= row + 0.5 <= d for a, b, c, d in boxes):
                inside += float(values[row, column])
    return inside / sum(map(float, values.reshape(-1)))


def spearman(one, other):
    """Return Spearman's rank correlation; each rank is found by counting."""

    def ranks(values):
        flat = [float(value) for value in values.reshape(-1)]
        return [1 + sum(b < a for b in flat) + (sum(b == a for b in flat) - 1) / 2 for a in flat]

    return statistics.correlation(ranks(one), ranks(other))


def adcc(predict, explain, image, index):
    """Return average drop, coherency, complexity and ADCC."""
    saliency_map = scaled(explain(image, index))
    masked = np.zeros_like(image)
    for row, column in np.ndindex(saliency_map.shape):
        masked[row, column] = image[row, column] * np.float32(saliency_map[row, column])
    before, after = score(predict, image, index), score(predict, masked, index)
    drop = max(0.0, before - after) / before
    other = explain(masked, index).reshape(-1)
    alike = (statistics.correlation(list(map(float, saliency_map.reshape(-1))), list(map(float, other))) + 1) / 2
    mean = statistics.fmean(map(float, saliency_map.reshape(-1)))
    return drop, alike, mean, statistics.harmonic_mean([alike, 1 - mean, 1 - drop])


def scaled(values):
    """Return a map scaled to 0..1."""
    low, high = float(values.min()), float(values.max())
    return np.array([[(float(value) - low) / (high - low) for value in row] for row in values])


def imputed(image, removed, noise):
    """Return an image whose removed pixels solve a dense system of equations, plus noise."""
    height, width, channels = image.shape
    places = [tuple(place) for place in np.argwhere(removed)]
    matrix, known = np.zeros((len(places), len(places))), np.zeros((len(places), channels))
    for i, (row, column) in enumerate(places):
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                y, x = row + down, column + right
                if (down, right) == (0, 0) or not (0 <= y < height and 0 <= x < width):
                    continue
                weight = 1 / 12 if down and right else 1 / 6
                matrix[i, i] += weight
                if removed[y, x]:
                    matrix[i, places.index((y, x))] -= weight
                else:
                    known[i] += weight * image[y, x].astype(np.float64)
    result = np.array(image)
    for place, values in zip(places, np.linalg.solve(matrix, known), strict=True):
        result[place] = values + noise[place]
    return result


def road(predict, image, values, index, percentiles, seed):
    """Return the mean of (LeRF - MoRF) / 2."""
    random = np.random.default_rng(seed)
    order = reading_order(values)
    found = []
    for percentile in percentiles:
        count = round(values.size * (100 - percentile) / 100)
        scores = []
        for places in (order[:count], order[len(order) - count :]):
            removed = np.zeros(values.shape, bool)
            for place in places:
                removed[place] = True
            noise = 0.01 * random.standard_normal(image.shape)
            scores.append(score(predict, imputed(image, removed, noise), index))
        found.append((scores[1] - scores[0]) / 2)
    return statistics.fmean(found)


def enlarged(values, height, width):
    """Return values on a grid, interpolated between the centres of its places and constant beyond them."""
    rows, columns = values.shape
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            for row in {math.floor(y), math.ceil(y)}:
                for column in {math.floor(x), math.ceil(x)}:
                    result[i, j] += (1 - abs(y - row)) * (1 - abs(x - column)) * values[row, column]
    return result


def rise(predict, image, index, ones, places, keep):
    """Return the RISE map of one class for given grids of zeros and ones, cut out at given places of a cell."""
    height, width = image.shape[:2]
    grid = len(ones[0])
    cell = (math.ceil(height / grid), math.ceil(width / grid))
    total = np.zeros((height, width))
    for pattern, (down, right) in zip(ones, places, strict=True):
        whole = enlarged(pattern, (grid + 1) * cell[0], (grid + 1) * cell[1])
        top, left = int(down * cell[0]), int(right * cell[1])
        mask = whole[top : top + height, left : left + width]
        total += score(predict, image * mask[:, :, None], index) * mask
    return total / (keep * len(ones))
