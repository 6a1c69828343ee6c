/** What ships: the packed tarball, installed and bundled as a user would. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["package-tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.browser.test.ts"],
    globalSetup: ["package-tests/pack.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
