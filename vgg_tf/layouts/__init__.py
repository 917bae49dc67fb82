"""Folders of pictures as sources: what a folder is, and what it leaves out."""
