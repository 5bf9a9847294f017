"""The command `lwyolo`: one file a subcommand."""
