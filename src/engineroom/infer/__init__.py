"""Files in, answers out: every row of files is asked, and none twice, however often the run is broken off."""
