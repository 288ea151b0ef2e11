import "@maoocr/lib/gpu-worker";
