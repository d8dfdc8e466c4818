"""Saliency methods: from the target and the head to raw maps, one file per method."""
