/** How pictures become network inputs: plain data, so that it can be written in a recipe and sent to a worker. */

export interface ImageOptions {
  /** Side of the square, or [height, width]. */
  readonly size: number | readonly [number, number];
  /** Channels of the result: grey, RGB, RGB and alpha. @default 3 */
  readonly channels?: 1 | 3 | 4;
  /** RGB, 0–255, behind transparent pictures. Not used for 4 channels. @default [255, 255, 255] */
  readonly background?: readonly [number, number, number];
  /** "crop" fills the size and cuts off the rest, "pad" shows all on the background, "stretch" distorts. @default "crop" */
  readonly fit?: Fit;
  /** Antialiased when shrinking, as PIL's filters of the same names. @default "bicubic" */
  readonly filter?: ResampleFilter;
  /** What a second picture is: an image like the first, or a mask of class indices. @default "image" */
  readonly target?: "image" | "mask";
  /** Random changes, the same for both pictures of a sample (colours: the first only). @default none */
  readonly augment?: AugmentOptions;
}

export type Fit = "crop" | "pad" | "stretch";

export type ResampleFilter = "nearest" | "box" | "bilinear" | "bicubic" | "lanczos";

export interface AugmentOptions {
  /** Probability of a mirror image. */
  readonly flip?: number;
  /** Probability of turning upside down. */
  readonly flipVertical?: number;
  /** A random part of the picture: its share of the area, and its width ÷ height relative to the result's. */
  readonly crop?: {
    readonly area: readonly [number, number];
    readonly ratio?: readonly [number, number];
  };
  /** With "crop": where the cut falls. @default "centre" */
  readonly position?: "centre" | "random";
  /** Largest turn in degrees, either way. */
  readonly rotate?: number;
  /**
   * Smooth random displacement: vectors of this standard deviation (pixels of the result) on a coarse grid,
   * interpolated bicubically (Ronneberger et al. 2015, arXiv:1505.04597, section 3.1). @param grid default 3
   */
  readonly elastic?: { readonly sigma: number; readonly grid?: number };
  /** Largest relative change, either way; hue in turns of the colour circle, at most 0.5. */
  readonly color?: {
    readonly brightness?: number;
    readonly contrast?: number;
    readonly saturation?: number;
    readonly hue?: number;
  };
}

/** Height and width of the result. */
export function outputSize({ size }: ImageOptions): readonly [number, number] {
  return typeof size === "number" ? [size, size] : size;
}
