/** Pictures as planes of floats: channel after channel, row after row, 0–255. */
import type { Raster } from "../sample.ts";

export interface Planes {
  readonly width: number;
  readonly height: number;
  readonly planes: readonly Float32Array[];
}

/**
 * The planes of a picture: grey by the weights of Rec. 601 (as PIL), RGB, or RGB and alpha.
 *
 * @param background RGB, 0–255, behind transparent pixels when the result has no alpha
 */
export function toPlanes(
  raster: Raster,
  channels: 1 | 3 | 4,
  background: readonly [number, number, number],
): Planes {
  const { width, height, data } = raster;
  const size = width * height;
  const planes = Array.from({ length: channels }, () => new Float32Array(size));
  const step = raster.channels;
  const isGrey = step < 3;
  const hasAlpha = step === 2 || step === 4;
  for (let i = 0; i < size; i++) {
    const at = i * step;
    const alpha = hasAlpha ? data[at + step - 1] : 255;
    let red = data[at];
    let green = isGrey ? red : data[at + 1];
    let blue = isGrey ? red : data[at + 2];
    if (channels === 4) planes[3][i] = alpha;
    else if (alpha !== 255) {
      const cover = alpha / 255;
      red = red * cover + background[0] * (1 - cover);
      green = green * cover + background[1] * (1 - cover);
      blue = blue * cover + background[2] * (1 - cover);
    }
    if (channels === 1)
      planes[0][i] = isGrey && alpha === 255 ? red : 0.299 * red + 0.587 * green + 0.114 * blue;
    else {
      planes[0][i] = red;
      planes[1][i] = green;
      planes[2][i] = blue;
    }
  }
  return { width, height, planes };
}

/** The first channel as it is, for masks of class indices. */
export function toMask({ width, height, channels, data }: Raster): Planes {
  return {
    width,
    height,
    planes: [Float32Array.from({ length: width * height }, (_, i) => data[i * channels])],
  };
}

/** Each plane changed by a function that gives a plane of the new size. */
export function mapPlanes(
  x: Planes,
  width: number,
  height: number,
  change: (plane: Float32Array) => Float32Array,
): Planes {
  return { width, height, planes: x.planes.map(change) };
}
