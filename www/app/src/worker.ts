import "@maoocr/lib/worker";
