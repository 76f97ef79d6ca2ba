"""What is measured of a world model's takes, one file a measure."""
