import { describe, expect, test } from "vitest";
import { cast, toFloat32, toFloat64 } from "./convert.ts";
import { DTYPES, type DType } from "./dtype.ts";
import { decodeMinifloat, encodeMinifloat, type Minifloat } from "./minifloat.ts";
import { float32, int64, tensor } from "./tensor.ts";

const FORMATS: Minifloat[] = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"];

function allCodes(format: Minifloat): Uint16Array | Uint8Array {
  return format.startsWith("float8")
    ? Uint8Array.from({ length: 256 }, (_, i) => i)
    : Uint16Array.from({ length: 65536 }, (_, i) => i);
}

const halfOf = (...values: number[]) => [...encodeMinifloat("float16", Float32Array.from(values))];

describe.each(FORMATS)("%s", (format) => {
  test("every code survives decoding and encoding", () => {
    const codes = allCodes(format);
    const values = decodeMinifloat(format, codes);
    const back = encodeMinifloat(format, values);
    const lost = codes.filter((code, i) => !Number.isNaN(values[i]) && back[i] !== code);
    expect(lost).toHaveLength(0);
    expect(decodeMinifloat(format, encodeMinifloat(format, Float32Array.of(NaN)))).toEqual(
      Float32Array.of(NaN),
    );
  });

  test("rounds to the nearest value, halves to the even code", () => {
    const values = [...decodeMinifloat(format, allCodes(format))].filter(
      (v) => Number.isFinite(v) && v >= 2 ** -120,
    );
    values.sort((a, b) => a - b);
    const middles: number[] = [];
    const expected: number[] = [];
    for (let i = 0; i + 1 < values.length; i++) {
      const middle = (values[i] + values[i + 1]) / 2;
      if (Math.fround(middle) !== middle || values[i] === values[i + 1]) continue;
      const even =
        encodeMinifloat(format, Float32Array.of(values[i]))[0] % 2 === 0
          ? values[i]
          : values[i + 1];
      middles.push(middle, middle * (1 + 2 ** -20), middle * (1 - 2 ** -20));
      expected.push(even, values[i + 1], values[i]);
    }
    expect([
      ...decodeMinifloat(format, encodeMinifloat(format, Float32Array.from(middles))),
    ]).toEqual(expected);
  });
});

test("float16 at its limits", () => {
  expect(halfOf(0, -0, 1, -2, 65504, 65519.99, 65520, -Infinity)).toEqual([
    0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0xfc00,
  ]);
  expect(halfOf(2 ** -24, 2 ** -25, 2 ** -25 * 1.001, 2 ** -14, 2 ** -14 - 2 ** -24)).toEqual([
    1, 0, 1, 0x400, 0x3ff,
  ]);
});

test("fp8 at its limits: e4m3fn has no infinity", () => {
  expect([
    ...encodeMinifloat("float8_e4m3fn", Float32Array.of(448, 464, 465, Infinity, -1e9)),
  ]).toEqual([0x7e, 0x7e, 0x7f, 0x7f, 0xff]);
  expect([
    ...encodeMinifloat("float8_e5m2", Float32Array.of(57344, 61439, 61440, -Infinity)),
  ]).toEqual([0x7b, 0x7b, 0x7c, 0xfc]);
});

describe("cast", () => {
  test("small whole numbers survive any chain of types", () => {
    for (const from of DTYPES)
      for (const to of DTYPES) {
        const values = from === "bool" || to === "bool" ? [0, 1, 1] : [0, 3, 14];
        const x = cast(float32([3], values), from);
        expect([...toFloat64(cast(x, to))], `${from} → ${to}`).toEqual(values);
      }
  });

  test("floats lose their fraction, integers wrap, anything but zero is true", () => {
    expect([...cast(float32([3], [-1.9, 1.9, 300]), "int32").data]).toEqual([-1, 1, 300]);
    expect([...cast(float32([2], [-1.9, 1.9]), "int64").data]).toEqual([-1n, 1n]);
    expect([...cast(int64([2], [300, -1]), "uint8").data]).toEqual([44, 255]);
    expect([...cast(int64([1], [-1]), "uint64").data]).toEqual([2n ** 64n - 1n]);
    expect([...cast(float32([3], [0, -0, 0.1]), "bool").data]).toEqual([0, 0, 1]);
  });

  test("int64 to float32 rounds once", () => {
    const tie = 2n ** 60n + 2n ** 36n; // half-way between two float32; one more must round up
    expect([...toFloat32(int64([2], [tie, tie + 1n]))]).toEqual([2 ** 60, 2 ** 60 + 2 ** 37]);
    expect([...toFloat32(int64([1], [-tie - 1n]))]).toEqual([-(2 ** 60) - 2 ** 37]);
  });

  test("shares data where nothing changes", () => {
    const x = float32([1], [1]);
    expect(cast(x, "float32")).toBe(x);
    expect(toFloat32(x)).toBe(x.data);
  });

  test("refuses NaN for integers", () => {
    expect(() => cast(float32([2], [0, NaN]), "int64")).toThrow(/element 1 is NaN/);
    const half = tensor("float16", [1], Uint16Array.of(0x7c00));
    expect(() => cast(half, "int8" satisfies DType)).toThrow(/Infinity/);
  });
});
