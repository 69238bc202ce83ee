/** How npm is called: always with the Node that it came with, since Debian's npm does not run on another one. */

/**
 * Command and first arguments of npm.
 * @returns {[string, ...string[]]}
 */
export function npmCommand() {
  const {npm_execpath: script, npm_node_execpath: node} = process.env
  if (script !== undefined && /npm-cli\.[cm]?js$/.test(script)) return [node ?? process.execPath, script]
  return ['npm']
}

/** Quiet, and no scripts of packages: none that we use needs one. */
export const npmFlags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error', '--prefer-offline']
