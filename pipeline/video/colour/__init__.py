"""Colours of decoded frames: conversion to RGB and tone mapping."""
