"""How good the masks are: Dice per label and presence, through the path a user takes."""
