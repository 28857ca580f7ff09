"""Is a store what SQL says? Found by comparing all documents, repaired by having the publisher send them again."""
