"""The text of a `config.pbtxt`, with every field's place in it: for findings that name a line, and for small edits."""
