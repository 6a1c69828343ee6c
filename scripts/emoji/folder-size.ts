/** Bytes of a folder. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";

/** Sum of the sizes of all files below a folder. */
export async function folderSize(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    names.map(async (name) => {
      const info = await stat(path.join(folder, name));
      return info.isFile() ? info.size : 0;
    }),
  );
  return sizes.reduce((total, size) => total + size, 0);
}
