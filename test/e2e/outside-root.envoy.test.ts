/** Networks whose root is an intermediate of a company's CA, with two kinds of key; others: outside-root.long.test.ts. */
import {describeOutsideRoot} from './outside-root.js'

for (const kind of ['p-384', 'rsa-3072']) describeOutsideRoot(kind)
