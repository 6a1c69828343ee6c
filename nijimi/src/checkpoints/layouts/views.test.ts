import { expect, test } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { entryOf, type Entry } from "../checkpoint.ts";
import { concatRows, permuteEntry, pickRows, reshapeEntry, transposeEntry } from "./views.ts";

const matrix = float32([4, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const onDisk: Entry = {
  ...entryOf(matrix),
  location: { file: "/weights", offset: 100, length: 48 },
};

async function valuesOf(entry: Entry): Promise<unknown[]> {
  const { data, shape } = await entry.read();
  expect(shape).toEqual(entry.shape);
  return [...data];
}

test("a reshaped tensor keeps its elements and its place on disk", async () => {
  const view = reshapeEntry(onDisk, [2, 6]);
  expect(view.shape).toEqual([2, 6]);
  expect(view.location).toEqual(onDisk.location);
  expect(await valuesOf(view)).toEqual([...matrix.data]);
});

test("one run of rows has a place on disk, several have none", async () => {
  const run = pickRows(onDisk, [[1, 3]]);
  expect(run.location).toEqual({ file: "/weights", offset: 112, length: 24 });
  expect(await valuesOf(run)).toEqual([3, 4, 5, 6, 7, 8]);
  const runs = pickRows(onDisk, [
    [3, 4],
    [0, 1],
  ]);
  expect(runs.location).toBeUndefined();
  expect(await valuesOf(runs)).toEqual([9, 10, 11, 0, 1, 2]);
});

test("rows joined again are the tensor they were cut from", async () => {
  const parts = [0, 1, 2, 3].map((row) => pickRows(onDisk, [[row, row + 1]]));
  expect(await valuesOf(concatRows(parts))).toEqual([...matrix.data]);
});

test("transposing twice changes nothing", async () => {
  const turned = transposeEntry(onDisk);
  expect(await valuesOf(turned)).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
  expect(await valuesOf(transposeEntry(turned))).toEqual([...matrix.data]);
});

test("axes are permuted as NumPy's transpose does", async () => {
  const cube = entryOf(float32([2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
  const moved = permuteEntry(cube, [2, 0, 1]); // [2, 2, 3]
  expect(await valuesOf(moved)).toEqual([0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
  expect(await valuesOf(permuteEntry(moved, [1, 2, 0]))).toEqual([...(await cube.read()).data]);
});
