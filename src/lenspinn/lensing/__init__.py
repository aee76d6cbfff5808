"""lensing."""
