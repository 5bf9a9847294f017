"""Records and tables to text, Markdown and files. Never imports torch."""
