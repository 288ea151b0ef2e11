// The models that come with the package. Bundlers find them by these very expressions.

/** @type {Record<string, URL>} */
export const bundled = {
  "ppocrv6-tiny-det": new URL("./models/ppocrv6-tiny-det.onnx", import.meta.url),
  "ppocrv6-tiny-rec": new URL("./models/ppocrv6-tiny-rec.onnx", import.meta.url),
  "ppocrv6-tiny-dict": new URL("./models/ppocrv6-tiny-dict.txt", import.meta.url),
};
