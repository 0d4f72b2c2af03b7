"""Programs of this repository that operators or developers start by bin/."""
