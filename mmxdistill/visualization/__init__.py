"""Pictures of pairs, encodings and detections."""
