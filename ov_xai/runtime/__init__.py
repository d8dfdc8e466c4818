"""What a deployment needs: run a patched model on images and show its maps. Knows nothing about graph analysis."""
