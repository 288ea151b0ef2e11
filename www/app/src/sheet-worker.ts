import "@maoocr/lib/sheet-worker";
