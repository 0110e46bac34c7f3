def figure01(): pass
