"""Tests of pictures made of words."""
