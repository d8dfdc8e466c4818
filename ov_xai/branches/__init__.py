"""From an anatomy and a plan to the nodes of the saliency branch."""
