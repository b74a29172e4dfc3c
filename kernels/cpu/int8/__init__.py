"""Inference with weights in int8: rows quantised on the fly, sums of bytes exact, the rest in float32."""
