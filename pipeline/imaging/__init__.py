"""Operations on images: optical flow, edge-aware filters, scene cuts."""
