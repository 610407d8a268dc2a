"""What was really said: flows by speaker, device and action, with counts and times. Candidates are judged by them."""
