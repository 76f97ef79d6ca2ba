"""What each part of the method brings: takes filmed with and without it, on the bundled world."""
