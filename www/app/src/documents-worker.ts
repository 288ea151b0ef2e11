import "@maoocr/lib/documents-worker";
