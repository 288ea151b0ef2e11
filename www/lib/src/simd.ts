// Whether the browser knows WebAssembly's relaxed SIMD, whose products and sums are one instruction where the processor
// has one. A browser that doesn't refuses a module with any of it.

/** A module of one function: `f32x4.relaxed_madd` of three zero vectors. */
// prettier-ignore
const PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // magic, version
  1, 5, 1, 96, 0, 1, 123, // type: () -> v128
  3, 2, 1, 0, // function 0 of type 0
  10, 19, 1, 17, 0, // one body without locals
  65, 0, 253, 15, // i32.const 0, i8x16.splat
  65, 0, 253, 15,
  65, 0, 253, 15,
  253, 133, 2, 11, // f32x4.relaxed_madd, end
]);

export function relaxedSimd(): boolean {
  return WebAssembly.validate(PROBE);
}

/** Of an app's files those that this browser needs: not the module for browsers of the other kind, if there are both.
 * `urlOf` is a file's address. */
export function withoutOtherModule<T>(files: T[], urlOf: (file: T) => string, relaxed: boolean): T[] {
  const plain = /\/maoocr(_bg)?-[^/]+$/;
  const faster = /\/maoocr_relaxed(_bg)?-[^/]+$/;
  if (!files.some((file) => faster.test(urlOf(file)))) return files;
  const other = relaxed ? plain : faster;
  return files.filter((file) => !other.test(urlOf(file)));
}
