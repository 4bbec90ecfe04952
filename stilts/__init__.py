"""The library behind the workflow, by stage; importing it costs nothing."""
