/** A folder of small pictures in two classes with captions, for tests: discs and squares in several colours. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createImage } from "../../images/image.ts";
import { encodePng } from "../../images/png/encode.ts";

const SIDE = 32;
const COLOURS = {
  red: [220, 40, 30],
  green: [40, 170, 60],
  blue: [30, 80, 220],
  yellow: [240, 200, 30],
  black: [20, 20, 20],
  pink: [250, 130, 180],
} as const;

/** Writes `folder/disc/red.png` with `red.txt` and so on: 12 pictures. */
export async function writePictures(folder: string): Promise<void> {
  for (const shape of ["disc", "square"] as const) {
    await mkdir(join(folder, shape), { recursive: true });
    for (const [name, colour] of Object.entries(COLOURS)) {
      const image = createImage(SIDE, SIDE, 3, draw(shape, colour));
      await writeFile(join(folder, shape, `${name}.png`), encodePng(image));
      await writeFile(join(folder, shape, `${name}.txt`), `${name} ${shape}`);
    }
  }
}

function draw(shape: "disc" | "square", colour: readonly number[]): Uint8Array {
  const data = new Uint8Array(SIDE * SIDE * 3).fill(255);
  const middle = (SIDE - 1) / 2;
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const [dx, dy] = [Math.abs(x - middle), Math.abs(y - middle)];
      const inside = shape === "disc" ? dx * dx + dy * dy < 100 : Math.max(dx, dy) < 9;
      if (inside) data.set(colour, (y * SIDE + x) * 3);
    }
  return data;
}
