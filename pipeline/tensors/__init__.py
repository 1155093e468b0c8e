"""The arithmetic of frames and mattes in torch, for frames that stay on a device from decoder to encoder.

Every function here, as in the modules elsewhere that are named device_…, has a twin on the host, in numpy and
OpenCV, which is faster on a processor. Both round at the same places, and the tests hold them within one
level of each other.
"""
