/** Which store a command's flags name. */
import {directoryStore} from './directory/directory.js'
import {type DirectoryTimes, defaultDirectoryTimes} from './directory/times.js'
import type {StateStore} from './store.js'

export interface StoreChoice {
  /** The directory that holds the manifests. */
  readonly directory: string
  /** A directory that is not there is an empty store, to be made at the first commit; else it is an error. */
  readonly create?: boolean
  readonly times?: Partial<DirectoryTimes>
}

export function openStore({directory, create, times}: StoreChoice): StateStore {
  return directoryStore(directory, {create: create === true, times: {...defaultDirectoryTimes, ...times}})
}
