"""Answers whether what is promised of sending holds while everything fails and is killed, from a seed."""
