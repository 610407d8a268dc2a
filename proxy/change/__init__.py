"""How a change of the site's files comes into force: judged as a whole elsewhere, kept, then taken in one step."""
