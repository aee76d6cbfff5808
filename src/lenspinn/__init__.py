"""From a dark-matter model to an answer on a telescope image."""
