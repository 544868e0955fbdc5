"""What the commands of ``symgrad.cli`` do; each module is imported when its command runs."""
