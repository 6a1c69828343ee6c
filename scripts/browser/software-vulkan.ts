/** WebGPU for Node on a machine without a GPU: the software Vulkan (SwiftShader) that Chromium brings along. */
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const FOLDERS = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"];

/**
 * Variables for a process whose WebGPU shall run on the CPU; none where the user chose a driver, where Vulkan
 * is not what WebGPU stands on, or where no SwiftShader is found.
 *
 * @param browser path of the Chromium
 */
export function softwareVulkan(browser: string): Record<string, string> {
  if (process.platform !== "linux" || process.env.VK_ICD_FILENAMES) return {};
  const driver = [dirname(realpathSync(browser)), ...FOLDERS]
    .map((folder) => join(folder, "vk_swiftshader_icd.json"))
    .find((path) => existsSync(path));
  if (driver === undefined) return {};
  const runtime = process.env.XDG_RUNTIME_DIR || join(tmpdir(), "nijimi-runtime");
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  // Chromium brings the Vulkan loader along too, for systems that have none.
  const libraries = [process.env.LD_LIBRARY_PATH, dirname(driver)].filter(Boolean).join(delimiter);
  return { VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: runtime, LD_LIBRARY_PATH: libraries };
}
