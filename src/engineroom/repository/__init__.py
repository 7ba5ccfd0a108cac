"""What Triton serves: folders and versions, configurations, passports, publication."""
