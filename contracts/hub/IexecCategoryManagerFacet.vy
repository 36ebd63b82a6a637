# pragma version 0.4.3
"""
@title IexecCategoryManagerFacet
@license Apache-2.0
"""
from hub.modules import blobs
from hub.modules import categories
from hub.modules import labels
from hub.modules import ownership
from hub.modules import store

initializes: store
initializes: blobs[store := store]
initializes: labels[store := store, blobs := blobs]
initializes: ownership[store := store]
initializes: categories[store := store, labels := labels, ownership := ownership]

exports: categories.createCategory
