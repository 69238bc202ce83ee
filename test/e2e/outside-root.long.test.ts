/** Networks whose root is an intermediate of a company's CA, with the kinds of key that outside-root.envoy.test.ts leaves out. */
import {describeOutsideRoot} from './outside-root.js'

for (const kind of ['p-256', 'p-521', 'rsa-2048', 'rsa-4096']) describeOutsideRoot(kind)
