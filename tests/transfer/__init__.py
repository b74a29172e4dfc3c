"""The transfer layer, room by room; its identities and its errors as a whole."""
