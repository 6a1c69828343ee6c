/** Values of options that are more than one number or name. */
import { NijimiError } from "../../errors.ts";
import type { FreeUOptions } from "../../pipelines/request.ts";

/** A file with a strength. */
export interface ScaledPath {
  readonly path: string;
  readonly scale?: number;
}

/** `a.safetensors:0.8`; a strength may be missing. */
export function parseScaledPath(item: string): ScaledPath {
  const [, path, scale] = /^(.*?)(?::(-?[\d.]+))?$/s.exec(item) as RegExpExecArray;
  return { path, ...(scale !== undefined && { scale: Number(scale) }) };
}

/** `999,749,499` */
export function parseNumbers(option: string, text: string): number[] {
  const numbers = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (numbers.every(Number.isFinite)) return numbers;
  throw new NijimiError(
    "option",
    `${option} must be numbers with commas between them; got ${JSON.stringify(text)}.`,
  );
}

/** `1024x768`, width first, as diffusers' [height, width]. */
export function parseSize(option: string, text: string): [height: number, width: number] {
  const [, width, height] = /^(\d+)[x×](\d+)$/.exec(text) ?? [];
  if (width !== undefined) return [Number(height), Number(width)];
  throw new NijimiError(
    "option",
    `${option} must be width and height, such as 1024x768; got ${JSON.stringify(text)}.`,
  );
}

/** `16,8`: pixels from the top and from the left. */
export function parseCrop(option: string, text: string): [top: number, left: number] {
  const numbers = parseNumbers(option, text);
  if (numbers.length === 2) return [numbers[0], numbers[1]];
  throw new NijimiError("option", `${option} must be two numbers, top and left; got ${text}.`);
}

const FACTORS = ["s1", "s2", "b1", "b2"] as const;

/** `s1=0.9,s2=0.2,b1=1.4,b2=1.6`; what is missing is 1. */
export function parseFreeU(text: string): FreeUOptions {
  const pairs = text.split(",").map((part) => {
    const [, name, value] = /^\s*(\w+)\s*=\s*(-?[\d.]+)\s*$/.exec(part) ?? [];
    if (!(FACTORS as readonly string[]).includes(name))
      throw new NijimiError(
        "option",
        `--freeu: ${JSON.stringify(part)} must be a factor and a number, such as b1=1.4; factors: ${FACTORS.join(", ")}.`,
      );
    return [name, Number(value)];
  });
  return { s1: 1, s2: 1, b1: 1, b2: 1, ...Object.fromEntries(pairs) } as FreeUOptions;
}

const SIDES = ["left", "right", "top", "bottom"] as const;

/** Pixels to add on each side. */
export type Sides = Partial<Record<(typeof SIDES)[number], number>>;

/** `right=256,top=64` */
export function parseSides(text: string): Sides {
  const pairs = text.split(",").map((part) => {
    const [, side, pixels] = /^\s*(\w+)\s*=\s*(\d+)\s*$/.exec(part) ?? [];
    if (!(SIDES as readonly string[]).includes(side))
      throw new NijimiError(
        "option",
        `--extend: ${JSON.stringify(part)} must be a side and pixels, such as right=256; sides: ${SIDES.join(", ")}.`,
      );
    return [side, Number(pixels)];
  });
  return Object.fromEntries(pairs) as Sides;
}

/** Seeds reach to 2^64. */
export function parseSeed(option: string, text: string): number | bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 2n ** 64n)
    throw new NijimiError(
      "option",
      `${option} must be a whole number from 0 to 2^64 − 1; got ${JSON.stringify(text)}.`,
    );
  const seed = BigInt(text);
  return seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed;
}
